"""The GraphQL API and the web server around it."""
