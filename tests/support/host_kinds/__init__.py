"""Small hosts of the kinds that are out there, each as its makers would write it, without the API."""
