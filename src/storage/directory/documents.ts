/** Documents as files of the state folder, each with a header, replaced by rename. */

import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import type { DocumentStore } from '../../interfaces/storage.js'
import { checkLimit, documentBytesMax } from '../limits.js'
import type { CallGate } from './base/call-gate.js'
import { isMissing, removeFile, replaceFile } from './base/durable.js'
import { storageError } from './base/fs-error.js'
import { decodeValue, encodeValue, headerBytes, startsLikeValue } from './base/header.js'
import type { Layout } from './base/layout.js'
import type { Room } from './base/room.js'

/** Documents up to this size may use the reserved space of the device when there is no other. */
const smallBytes = 256 * 1024

/** The documents of one open directory. */
export class DirectoryDocuments implements DocumentStore {
  readonly #layout: Layout
  readonly #gate: CallGate
  readonly #room: Room
  /**
   * The last unfinished call for each name, because two writes of one name must not overtake each
   * other.
   */
  readonly #busy = new Map<string, Promise<unknown>>()

  constructor(layout: Layout, gate: CallGate, room: Room) {
    this.#layout = layout
    this.#gate = gate
    this.#room = room
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return this.#inTurn(name, 'cannot read the document', async (path) => {
      try {
        return decodeValue('document', await readFile(path), path)
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    })
  }

  write(name: string, value: Uint8Array): Promise<void> {
    return this.#inTurn(name, 'cannot write the document', async (path) => {
      checkLimit(value.byteLength, documentBytesMax, `the document ${name}, in bytes`)
      const bytes = encodeValue('document', value)
      const replace = async (): Promise<void> => {
        try {
          await replaceFile(this.#layout, path, bytes)
        } catch (error) {
          throw storageError(error, 'cannot write the document', path)
        }
      }
      // A large document would use up the reserved space, and its failure is harmless because the
      // previous one stays.
      if (bytes.byteLength > smallBytes) await replace()
      else await this.#room.use(replace)
    })
  }

  remove(name: string): Promise<void> {
    return this.#inTurn(name, 'cannot remove the document', async (path) => {
      await removeFile(path)
    })
  }

  list(prefix: string): Promise<string[]> {
    return this.#gate.run(async () => {
      const names: string[] = []
      try {
        await this.#collect('', prefix, names)
      } catch (error) {
        throw storageError(error, 'cannot list the documents of', this.#layout.state)
      }
      return names.sort()
    })
  }

  async #collect(folder: string, prefix: string, names: string[]): Promise<void> {
    const entries = await readdir(`${this.#layout.state}/${folder}`, { withFileTypes: true })
    for (const entry of entries) {
      if (folder === '' && !this.#layout.holdsDocuments(entry.name)) continue
      const name = `${folder}${entry.name}`
      if (entry.isDirectory()) {
        const below = `${name}/`
        if (below.startsWith(prefix) || prefix.startsWith(below)) {
          await this.#collect(below, prefix, names)
        }
      } else if (entry.isFile() && name.startsWith(prefix) && (await this.#isDocument(name))) {
        names.push(name)
      }
    }
  }

  /** Documents and logs have folders side by side; only documents begin with the header. */
  async #isDocument(name: string): Promise<boolean> {
    let handle: FileHandle
    try {
      handle = await open(`${this.#layout.state}/${name}`, 'r')
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
    try {
      const start = Buffer.alloc(headerBytes)
      const { bytesRead } = await handle.read(start, 0, headerBytes, 0)
      return startsLikeValue(start.subarray(0, bytesRead))
    } finally {
      await handle.close()
    }
  }

  #inTurn<T>(name: string, doing: string, action: (path: string) => Promise<T>): Promise<T> {
    return this.#gate.run(async () => {
      const path = this.#layout.documentPath(name)
      const before = this.#busy.get(name) ?? Promise.resolve()
      const turn = before.then(() => action(path))
      const settled = turn.catch(() => undefined)
      this.#busy.set(name, settled)
      try {
        return await turn
      } catch (error) {
        throw storageError(error, doing, path)
      } finally {
        if (this.#busy.get(name) === settled) this.#busy.delete(name)
      }
    })
  }
}
