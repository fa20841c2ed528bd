"""The API describes itself: OpenAPI, a page to read it, and a page for each problem."""
