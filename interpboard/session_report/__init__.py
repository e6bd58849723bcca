"""A session with its notes and results as one report, from the store or from a file into a page."""

from interpboard.session_report.gather import session_page
from interpboard.session_report.reading import session_in
from interpboard.session_report.subjects import result_subject, subject_words
from interpboard.session_report.written import FORMS, written

__all__ = ["FORMS", "result_subject", "session_in", "session_page", "subject_words", "written"]
