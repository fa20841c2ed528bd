"""Fixtures, and a suite that checks the HTTP contract of a host's mounted API end to end.

``pytest --provisioning-app=myapp:create_app`` runs it. Needs the extra ``testing``.
"""
