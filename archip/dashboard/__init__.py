"""Dashboard: runs in a browser, live. `app.make_app` gives the web application, ``archip serve`` runs it."""
