/** The documents of an open memory storage. */

import { HotspareError } from '../../errors.js'
import type { DocumentStore } from '../../interfaces/storage.js'
import { checkLimit, documentBytesMax } from '../limits.js'
import { checkDocumentName } from '../names.js'
import { toss } from './bytes.js'
import type { Content } from './content.js'
import type { Runner } from './runner.js'

export class MemoryDocuments implements DocumentStore {
  readonly #content: Content
  readonly #runner: Runner

  constructor(content: Content, runner: Runner) {
    this.#content = content
    this.#runner = runner
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    checkDocumentName(name)
    const effect = (): Uint8Array | undefined => {
      if (this.#content.damaged.has(name)) {
        throw new HotspareError('STORAGE_CORRUPT', `the document ${name} is damaged`)
      }
      const value = this.#content.documents.get(name)
      return value === undefined ? undefined : new Uint8Array(value)
    }
    return this.#runner.run({ operation: 'documents.read', channel: `document ${name}`, effect })
  }

  async write(name: string, value: Uint8Array): Promise<void> {
    checkDocumentName(name)
    checkLimit(value.byteLength, documentBytesMax, `the document ${name}, in bytes`)
    const copy = new Uint8Array(value)
    const store = (): void => {
      this.#content.documents.set(name, copy)
      this.#content.damaged.delete(name)
    }
    const effect = (): void => {
      this.#content.checkChange(true)
      this.#content.checkSync()
      store()
    }
    const channel = `document ${name}`
    const partial = partialOf(store)
    return this.#runner.run({ operation: 'documents.write', channel, effect, partial })
  }

  async remove(name: string): Promise<void> {
    checkDocumentName(name)
    const drop = (): void => {
      this.#content.documents.delete(name)
      this.#content.damaged.delete(name)
    }
    const effect = (): void => {
      this.#content.checkChange(false)
      this.#content.checkSync()
      drop()
    }
    const channel = `document ${name}`
    const partial = partialOf(drop)
    return this.#runner.run({ operation: 'documents.remove', channel, effect, partial })
  }

  list(prefix: string): Promise<string[]> {
    const effect = (): string[] =>
      [...this.#content.documents.keys()].filter((name) => name.startsWith(prefix)).sort()
    return this.#runner.run({ operation: 'documents.list', channel: 'documents', effect })
  }
}

/** A change that a crash carries out completely or not at all. */
function partialOf(
  change: () => void,
): (random: { number(): number; bytes(count: number): Uint8Array }) => void {
  return (random) => {
    if (toss(random)) change()
  }
}
