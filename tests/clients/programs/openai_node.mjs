// OpenAI's client for Node: an answer, a stream and its helper, a tool, and chat completions with a tool runner.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: `${process.env.DATABRICKS_HOST}/serving-endpoints`,
  apiKey: process.env.DATABRICKS_TOKEN,
  maxRetries: 0,
});
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const model = "databricks-gpt-5";

const answer = await client.responses.create({ model, input: "[[say Hello]]" });
let text = "";
for await (const event of await client.responses.create({ model, input: "[[words 20]]", stream: true })) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
const helped = await client.responses.stream({ model, input: "[[say Hello]]" }).finalResponse();

const tools = [{ type: "function", name: "weather", parameters }];
const input = [{ role: "user", content: "Rome?" }];
const called = await client.responses.create({ model, input, tools, reasoning: { summary: "auto" } });
const call = called.output.find((item) => item.type === "function_call");
input.push(...called.output, { type: "function_call_output", call_id: call.call_id, output: "Sunny" });
const told = await client.responses.create({ model, input, tools });

const runner = client.chat.completions.runTools({
  model: "databricks-claude-sonnet-4-5",
  messages: [{ role: "user", content: "Rome?" }],
  tools: [{ type: "function", function: { name: "weather", parameters, parse: JSON.parse, function: () => "Sunny" } }],
  stream: true,
});
const ran = await runner.finalContent();

console.log(JSON.stringify({
  ask: answer.output_text,
  stream: text.split(" ").at(-1),
  helper: helped.output_text,
  tools: told.output_text,
  runner: ran,
}));
