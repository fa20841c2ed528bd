"""The conformance suite that hosts run, on hosts that are good, bad and odd."""
