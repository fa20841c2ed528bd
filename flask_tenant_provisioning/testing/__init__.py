"""What a host proves its own mounted API with: fixtures, and a suite that checks the HTTP contract end to end.

``pytest --provisioning-app=myapp:create_app`` runs it. Needs the extra ``testing``.
"""
