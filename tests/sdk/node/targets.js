// Every kind of provider that answers, and what it truly cannot do. The same table as the Python suite's.

/**
 * `thinker` thinks, `seer` sees pictures where that is another model; `showsThoughts` and `countsThoughts` are false where thoughts
 * are only counted, or not counted apart; `refusesDocuments` is why a PDF is refused, in words of the refusal.
 */
export const EVERY_TARGET = [
  { model: 'openai/gpt', thinker: 'openai/gpt-5', showsThoughts: false },
  { model: 'official/gpt', thinker: 'official/gpt-5', showsThoughts: false },
  { model: 'anthropic/claude', thinker: 'anthropic/claude-sonnet-4-5' },
  { model: 'google/gemini', thinker: 'google/gemini-3-pro' },
  {
    model: 'cohere/command-a',
    thinker: 'cohere/command-a-reasoning-08-2025',
    seer: 'cohere/command-a-vision',
    countsThoughts: false,
    refusesDocuments: /plain text/,
  },
  // Nova does not think, however it is asked.
  { model: 'bedrock/amazon.nova-pro-v1:0', thinker: 'bedrock/amazon.nova-pro-v1:0', showsThoughts: false, countsThoughts: false },
  {
    model: 'bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0',
    thinker: 'bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0',
  },
  { model: 'mistral/mistral-large-latest', thinker: 'mistral/magistral-medium-latest', countsThoughts: false },
  {
    model: 'huggingface/meta-llama/Llama-3.3-70B-Instruct',
    thinker: 'huggingface/deepseek-ai/DeepSeek-R1',
    refusesDocuments: /unknown variant `file`/,
  },
  { model: 'azure/gpt', thinker: 'azure/gpt-5', showsThoughts: false },
  { model: 'vertex/gemini', thinker: 'vertex/gemini-2.5-pro' },
  { model: 'vertex/claude', thinker: 'vertex/claude-sonnet-4-5' },
];

/** What `trunkline.yaml` says that this costs at each of them, in nano-dollars. */
export function cost({ input_tokens: input, cached_input_tokens: cached = 0, output_tokens: output }) {
  return 2500 * (input - cached) + 250 * cached + 10_000 * output;
}
