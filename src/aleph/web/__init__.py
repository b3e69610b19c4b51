"""The web: a page on which a picture is mended, and an HTTP API that programs can call.

`jobs` queues searches, `engine` runs them, `uploads` checks and keeps what clients send, `guard`
refuses whom it must, `api` speaks HTTP, `static` is the page, `app` puts them together, `server`
binds and stops.
"""
