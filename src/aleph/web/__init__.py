"""The web: an HTTP API that programs can call.

`jobs` queues searches, `engine` runs them, `uploads` checks and keeps what clients send, `guard`
refuses whom it must, `api` speaks HTTP, `app` puts them together, `server` binds and stops.
"""
