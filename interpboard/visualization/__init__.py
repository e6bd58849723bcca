"""Views of results: ``terminal`` (of ``blocks``, in ``colors``) and ``export`` (text forms)."""
