// The official clients, each reduced to what the matrix asks of it: the same conversation in its own words.

import { aiAnthropic, aiCompatible, aiGoogle, aiOpenai, aiOpenaiChat } from './ai.js';
import { anthropic } from './anthropic.js';
import { cohere } from './cohere.js';
import { genai } from './genai.js';
import { openaiChat, openaiResponses } from './openai.js';

/** Each makes a face of an address and a key. */
export const FACES = [openaiChat, openaiResponses, anthropic, genai, cohere, aiOpenai, aiOpenaiChat, aiAnthropic, aiGoogle, aiCompatible];
