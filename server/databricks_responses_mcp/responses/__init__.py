"""The language of the Responses API: requests, stream events, assembling a response. No I/O."""
