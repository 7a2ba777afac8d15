"""The routes, one module a topic; each has a ``router``. ``app.create_app`` includes them."""
