"""One exchange with a model, from request to outcome."""
