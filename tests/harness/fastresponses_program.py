"""An agent of Pydantic AI, for `fastresponses serve`. Runs in an environment of its own."""

import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])
agent = Agent(OpenAIChatModel(os.environ["MODEL"], provider=provider))
