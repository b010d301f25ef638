"""The Databricks workspace: settings, credentials, HTTP, endpoints, and its errors as advice."""
