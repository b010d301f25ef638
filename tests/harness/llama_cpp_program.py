"""Serves a model with llama.cpp's HTTP server, as a separate program.

python llama_cpp_program.py PACKAGES MODEL ALIAS PORT PREFIX THREADS
"""

import importlib
import os
import sys
import threading
from typing import Any

# Two exchanges with function calls come first, because so small a model follows examples.
TEMPLATE = """\
{%- if tools %}
{%- set name = tools[0].function.name %}<|im_start|>system
You answer only by calls of functions:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}<|im_end|>
{%- for word in ["London", "Rome"] %}
<|im_start|>user
How is it in {{ word }}? Call {{ name }}.<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "{{ name }}", "arguments": {"city": "{{ word }}"}}
</tool_call><|im_end|>
<|im_start|>user
It said: all is well in {{ word }}.<|im_end|>
<|im_start|>assistant
All is well in {{ word }}.<|im_end|>
{%- endfor %}
{% endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
It said: {{ message.content }}<|im_end|>
{% elif message.tool_calls %}<|im_start|>assistant
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}{% if tools and message.role == "user" %} Call {{ tools[0].function.name }}.{% endif %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def start(packages: str, model: str, alias: str, port: int, prefix: str, threads: int, key: str) -> Any:
    """Listen; the server runs in its own threads until the returned value is deleted."""
    sys.path.insert(0, packages)
    llama: Any = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = model
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_prefix = prefix
    params.api_keys = [key]
    params.n_ctx, params.n_parallel = 8192, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.temp = 0.0
    params.n_gpu_layers = 0
    params.no_op_offload = params.no_kv_offload = True
    params.fit_params = False
    params.cache_ram_mib = 0
    params.use_jinja = True
    params.chat_template = TEMPLATE
    params.ui = params.endpoint_slots = False
    params.offline = True
    return llama.Server(params)


if __name__ == "__main__":
    directory, weights, name, listen, path, cores = sys.argv[1:]
    running = start(directory, weights, name, int(listen), path, int(cores), os.environ.pop("LLAMA_API_KEY"))
    threading.Event().wait()
