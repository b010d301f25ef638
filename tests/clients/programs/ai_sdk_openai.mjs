// The AI SDK with OpenAI's provider: answers, streams, a tool loop and typed objects, by Responses and by chat.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";

const provider = createOpenAI({
  baseURL: `${process.env.DATABRICKS_HOST}/serving-endpoints`,
  apiKey: process.env.DATABRICKS_TOKEN,
});
const schema = jsonSchema({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
});
const tools = { weather: tool({ inputSchema: schema, execute: async () => "Sunny" }) };
const maxRetries = 0;
const results = {};
for (const [name, model] of [
  ["responses", provider.responses("databricks-gpt-5")],
  ["chat", provider.chat("databricks-meta-llama-3-3-70b-instruct")],
]) {
  const answer = await generateText({ model, maxRetries, prompt: "[[say Hello]]" });
  const streamed = streamText({ model, maxRetries, prompt: "[[words 20]]" });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  const told = await generateText({
    model,
    maxRetries,
    tools,
    prompt: "Rome?",
    stopWhen: isStepCount(3),
  });
  const typed = await generateText({ model, maxRetries, prompt: "Rome?", output: Output.object({ schema }) });
  results[name] = {
    ask: answer.text,
    stream: [text.split(" ").at(-1), await streamed.finishReason],
    usage: (await streamed.usage).outputTokens,
    tools: told.text,
    typed: Object.keys(typed.output),
  };
}
console.log(JSON.stringify(results));
