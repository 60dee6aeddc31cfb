// What the matrix asks of a client, and what it gets, whichever vendor's words it speaks.
//
// A face has `name`, `request(model, turns, wanted)`, `whole(request, options)`, `streamed(request, options)` and `failure(error)`.
// A turn is ['user' | 'image' | 'document', text], ['answer', answer] or ['results', [[call, text], …]]; `wanted` names `tools`,
// `schema` and `thoughts`; `options` are `headers` and, to go away, `signal` and `onPiece`.

/** A red dot. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** A document without a page. */
export const PDF = Buffer.from('%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n').toString('base64');
export const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
export const PERSON = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};
/** How much may be thought, in tokens; and how much may be said with it. */
export const THOUGHT = 1024;
export const LIMIT = 4096;

/** What an application gets out of an answer; `turn` is what the client puts into the next request. */
export function answer(fields = {}) {
  return { text: '', thoughts: '', calls: [], finish: null, input: 0, cached: 0, output: 0, pieces: 0, turn: null, ...fields };
}

/** What an application can read of an error: of the clients here those that have one give the fields of the response. */
export function failure(status, headers, requestId) {
  return { status, requestId: requestId ?? headers?.get('x-request-id'), retryAfter: headers?.get('retry-after') ?? undefined };
}

/** The items of a conversation, each turn written by the function of its kind. */
export function written(turns, { user, answered, results }) {
  return turns.flatMap(([kind, value]) => {
    if (kind === 'answer') return answered(value);
    if (kind === 'results') return results(value);
    return user(kind, value);
  });
}
