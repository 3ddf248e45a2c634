/**
 * Reads content piece by piece, until it ends or is given up: a source that hangs holds up nobody.
 */
import type { ContentSource } from './types.js'

type Pieces = AsyncIterator<Uint8Array> | Iterator<Uint8Array>

export class SourceReader {
  readonly #pieces: Pieces
  #isOver = false
  #givenUp: { readonly error: unknown } | undefined
  #fail: ((error: unknown) => void) | undefined

  /** @throws TypeError for what yields no pieces */
  constructor(source: ContentSource) {
    this.#pieces = piecesOf(source)
  }

  /**
   * The next piece; undefined at the end. @throws what the source threw, or what it was given up
   * with
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
      // A generator that is none of promises may yield them all the same.
      if (done !== true) return await value
    } catch (error) {
      this.#isOver = true
      throw error
    }
    this.#isOver = true
    return undefined
  }

  /** Ends the reading, also one that goes on. What the source makes of it is not waited for. */
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
    // Nobody is left to hear of it.
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
