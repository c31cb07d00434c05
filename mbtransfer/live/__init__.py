"""The live page: a session that plans and acts, and a page in the browser that draws it."""
