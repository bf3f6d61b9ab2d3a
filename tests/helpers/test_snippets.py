"""Code written for LiteLLM's helpers runs as it is printed in its documentation, but for the name of the package.

The snippets are small ones of our own in the shapes of https://docs.litellm.ai/docs/completion/token_usage: each is a
program that imports what it uses. What they print is what is right here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from callcost.tokens.engines.vocabularies import find_vocabulary, read_file

SNIPPETS = {
    "encode": (
        """
from callcost import encode, decode

text = "What does it cöst?"
tokens = encode(model="gpt-3.5-turbo", text=text)
print(decode(model="gpt-3.5-turbo", tokens=tokens) == text, len(tokens))
""",
        "True 6",
    ),
    "messages without a role": (
        """
from callcost import token_counter

messages = [{"user": "role", "content": "Is it warm today?"}]
print(token_counter(model="gpt-3.5-turbo", messages=messages))
""",
        "11",
    ),
    "a tokenizer from a file": (
        """
import json
from callcost import create_tokenizer, encode, token_counter

with open("tokenizer.json") as f:
    json_data = json.load(f)

json_str = json.dumps(json_data)

custom_tokenizer = create_tokenizer(json_str)
tokens = encode(custom_tokenizer=custom_tokenizer, text="warm")
print(token_counter(custom_tokenizer=custom_tokenizer, text="warm") == len(tokens))
""",
        "True",
    ),
    "tokens": (
        """
from callcost import cost_per_token

prompt_tokens =  4
asked, answered = cost_per_token(model="gpt-3.5-turbo", prompt_tokens=prompt_tokens, completion_tokens=2)

print(asked, answered)
""",
        "2e-06 3e-06",
    ),
    "a response": (
        """
from callcost import completion_cost

response = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
cost = completion_cost(completion_response=response)
formatted_string = f"${float(cost):.10f}"
print(formatted_string)
""",
        "$0.0035000000",
    ),
    "texts": (
        """
from callcost import completion_cost
cost = completion_cost(model="bedrock/anthropic.claude-v2", prompt="Hey!", completion="How's it going?")
formatted_string = f"${float(cost):.10f}"
print(formatted_string)
""",
        "$0.0001360000",
    ),
    "limits": (
        """
from callcost import get_max_tokens

model = "gpt-3.5-turbo"

print(get_max_tokens(model)) # 4096
""",
        "4096",
    ),
    "the map": (
        """
from callcost import model_cost

print(model_cost)
""",
        "'gpt-3.5-turbo': {'max_tokens': 4096, ",
    ),
    "a map of one's own": (
        """
import callcost

callcost.register_model({
        "gpt-4": {
        "max_tokens": 8192,
        "input_cost_per_token": 0.00001,
        "output_cost_per_token": 0.00002,
        "litellm_provider": "openai",
        "mode": "chat"
    },
})
print(callcost.cost_per_token("gpt-4", 1, 1), callcost.model_cost["gpt-4"]["input_cost_per_token"])
""",
        "(1e-05, 2e-05) 1e-05",
    ),
    "a map at an address": (
        """
import callcost, http.server, threading

class Maps(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"my/model": {"input_cost_per_token": 1e-6}, "sample_spec": {}}')
    def log_message(self, *words): pass

server = http.server.HTTPServer(("127.0.0.1", 0), Maps)
threading.Thread(target=server.handle_request, daemon=True).start()
callcost.register_model(model_cost=
f"http://127.0.0.1:{server.server_port}/map.json")
server.server_close()
print(callcost.cost_per_token("my/model", 1000))
""",
        "(0.001, 0.0)",
    ),
    "no counting": (
        """
import callcost

callcost.disable_token_counter = True
print(callcost.token_counter(model="gpt-4o-mini", text="Is it warm?"))
""",
        "0",
    ),
    "counting beside others": (
        """
import asyncio
import callcost

callcost.async_tokenizer_threshold_bytes = 500_000  # 500KB threshold
callcost.tokenizer_threadpool_max_workers = 4       # Max 4 threads
callcost.tokenizer_timeout_seconds = 5.0            # 5s timeout

async def main(large_text):
    result = await callcost.async_token_counter(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": large_text}]
    )
    print(result)

asyncio.run(main("warm " * 9))
""",
        "17",
    ),
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_runs_as_printed(name: str, tmp_path: Path) -> None:
    code, printed = SNIPPETS[name]
    (tmp_path / "tokenizer.json").write_bytes(read_file(find_vocabulary("claude2")))

    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.stderr == ""
    assert printed in ran.stdout
