"""Probes to report: four arms on the same held-out questions, scored, with intervals."""

if __name__ != "kb.evaluate":
    raise ImportError(
        "this is kb.evaluate, found under the name of Hugging Face's `evaluate` because the repository's root is on"
        " sys.path; run through `kb` or pytest, or set PYTHONSAFEPATH=1"
    )
