"""API documentation: the OpenAPI document, a page to browse it, and a page for each problem code."""
