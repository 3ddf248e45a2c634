/**
 * Reads content piece by piece until it ends or is given up. Giving up rejects a pending read at
 * once, so a source that hangs blocks no caller.
 */
import type { ContentSource } from './types.js'

type Pieces = AsyncIterator<Uint8Array> | Iterator<Uint8Array>

export class SourceReader {
  readonly #pieces: Pieces
  #isOver = false
  #givenUp: { readonly error: unknown } | undefined
  #fail: ((error: unknown) => void) | undefined

  /** @throws TypeError for a source that is not iterable */
  constructor(source: ContentSource) {
    this.#pieces = piecesOf(source)
  }

  /**
   * The next piece; undefined at the end.
   *
   * @throws what the source threw, or the error it was given up with
   */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#givenUp !== undefined) throw this.#givenUp.error
      this.#fail = reject
      this.#read().then(resolve, reject)
    })
  }

  async #read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#pieces.next()
      // A synchronous iterator may still yield promises.
      if (done !== true) return await value
    } catch (error) {
      this.#isOver = true
      throw error
    }
    this.#isOver = true
    return undefined
  }

  /** Ends the reading and rejects a pending read. It does not wait for the source's own cleanup. */
  giveUp(error: unknown): void {
    if (this.#givenUp !== undefined) return
    this.#givenUp = { error }
    this.#fail?.(error)
    if (!this.#isOver) void endQuietly(this.#pieces)
  }
}

async function endQuietly(pieces: Pieces): Promise<void> {
  try {
    await pieces.return?.()
  } catch {
    // The reading is over, so no caller is left to report the error to.
  }
}

function piecesOf(source: ContentSource): Pieces {
  if (typeof source === 'string') return [Buffer.from(source)].values()
  if (source instanceof Uint8Array) return [source].values()
  if (typeof source === 'object' && source !== null) {
    if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]()
    if (Symbol.iterator in source) return source[Symbol.iterator]()
  }
  throw new TypeError('content is a Uint8Array, a string, or something that yields Uint8Array')
}
