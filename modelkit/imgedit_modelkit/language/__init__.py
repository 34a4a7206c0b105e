"""Language models behind one door: a server that speaks OpenAI's protocol, or a local model."""
