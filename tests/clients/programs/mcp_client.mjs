// The client of the MCP SDK for TypeScript, 2.x: list, ask, draw, read the picture.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const client = new Client({ name: "test", version: "1" });
await client.connect(new StdioClientTransport(JSON.parse(process.env.SERVER)));
const { tools } = await client.listTools();
const progress = [];
const asked = await client.callTool(
  { name: "ask_databricks_model", arguments: { prompt: "[[say Hello]]" } },
  { onprogress: (update) => progress.push(update.progress) },
);
const drawn = await client.callTool({ name: "generate_image", arguments: { prompt: "a fox", size: "256x256" } });
const { contents } = await client.readResource({ uri: drawn.structuredContent.images[0].uri });
await client.close();
console.log(JSON.stringify({
  tools: tools.map((tool) => tool.name),
  ask: asked.structuredContent.text,
  progress: progress.length > 0,
  blocks: drawn.content.map((block) => block.type),
  resource: contents[0].mimeType,
}));
