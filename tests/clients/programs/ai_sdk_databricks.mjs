// The AI SDK with Databricks' provider: models by chat and by Responses with a tool loop, and agents of both kinds.
import { createDatabricksProvider } from "@databricks/ai-sdk-provider";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

const provider = createDatabricksProvider({
  baseURL: `${process.env.DATABRICKS_HOST}/serving-endpoints`,
  headers: { Authorization: `Bearer ${process.env.DATABRICKS_TOKEN}` },
});
const inputSchema = jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] });
const tools = { weather: tool({ inputSchema, execute: async () => "Sunny" }) };
const maxRetries = 0;
const onError = ({ error }) => {
  throw error;
};

async function read(options) {
  const streamed = streamText({ maxRetries, onError, ...options });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  return { text, finish: await streamed.finishReason, steps: (await streamed.steps).length };
}

const results = {};
for (const [name, model] of [
  ["chat", provider.chatCompletions("databricks-claude-sonnet-4-5")],
  ["responses", provider.responses("databricks-gpt-5")],
  ["agent", provider.responses("my-support-agent")],
  ["supervisor", provider.responses("my-supervisor-agent")],
  ["chatAgent", provider.chatAgent("my-chat-agent")],
]) {
  const answer = await generateText({ model, maxRetries, prompt: "[[say Hello]]" });
  const streamed = await read({ model, prompt: "[[say Hello]]" });
  results[name] = { ask: answer.text, stream: streamed };
  const question = { model, tools, prompt: "Rome?", stopWhen: isStepCount(3) };
  if (name === "chat") results[name].tools = await read(question);
  // Its streams of Responses execute each call twice, and send it back twice.
  if (name === "responses") results[name].tools = (await generateText({ maxRetries, ...question })).text;
}
console.log(JSON.stringify(results));
