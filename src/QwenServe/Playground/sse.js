// Server-sent events out of a fetch body, after the WHATWG's parsing rules: lines end in LF, CR or CRLF wherever the network cut them,
// several data lines are one event, comments and other fields are passed over, an event without its empty line never happened.

/** Yields the data of each event. @param {ReadableStream<Uint8Array>} body */
export async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const lines = new Lines();
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      for (const line of lines.take(decoder.decode(value, { stream: true }))) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n');
          data = [];
        } else if (line === 'data' || line.startsWith('data:')) {
          const text = line.slice(5);
          data.push(text.startsWith(' ') ? text.slice(1) : text);
        }
      }
    }
  } finally {
    // Leaving the loop early tells the server to stop.
    reader.cancel().catch(() => {});
  }
}

class Lines {
  #rest = '';
  #afterReturn = false;

  take(text) {
    // The LF of a CRLF that was cut in two.
    const skip = this.#afterReturn && text.startsWith('\n');
    if (text !== '') this.#afterReturn = text.endsWith('\r');
    if (skip) text = text.slice(1);
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    return lines;
  }
}
