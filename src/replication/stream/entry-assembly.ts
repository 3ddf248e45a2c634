/** Reassembles an entry that was sent in several frames. */

import type { Entry } from '../../changes/entry.js'
import { entryBytesMax, readEntry } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import { frameTypes } from '../frame-types.js'

export class EntryAssembly {
  #parts: Uint8Array[] = []
  #bytes = 0

  /**
   * Adds a frame; answers the entry that it completes, if any.
   *
   * @throws `FRAME_TOO_LARGE`, `FRAME_CORRUPT`, `PROTOCOL_VIOLATION`
   */
  add(type: number, payload: Uint8Array): Entry | undefined {
    if (type === frameTypes.entryPart) {
      // Empty parts would use memory that the limit in bytes does not count.
      if (payload.length === 0) throw new HotspareError('PROTOCOL_VIOLATION', 'an empty part')
      this.#bytes += payload.length
      if (this.#bytes > entryBytesMax) throw new HotspareError('FRAME_TOO_LARGE', 'an entry')
      this.#parts.push(payload)
      return undefined
    }
    if (type !== frameTypes.entry) throw new HotspareError('PROTOCOL_VIOLATION', 'unexpected frame')
    const whole = this.#parts.length === 0 ? payload : Buffer.concat([...this.#parts, payload])
    this.#parts = []
    this.#bytes = 0
    const entry = readEntry(whole)
    if (typeof entry === 'string' || entry.bytes.length !== whole.length) {
      throw new HotspareError('FRAME_CORRUPT', 'an entry of the stream is damaged')
    }
    return entry
  }
}
