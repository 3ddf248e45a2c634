/**
 * The blobs that are stored here: those that records of the journal name, kept as long as the record is, and those that
 * came before their record.
 *
 * Invariants: the named ones are in the order of the last record that names each; a blob is in one of the two groups.
 */
/** What others may know and say of stored blobs. */
export interface StoredBlobs {
  /** Whether the blob is stored here. */
  has(id: string): boolean
  /** It is stored here now, and its record will follow. */
  add(id: string, bytes: number): void
}

export interface BlobRecord {
  readonly seq: number
  readonly bytes: number
}

export class BlobRefs implements StoredBlobs {
  readonly #refs = new Map<string, BlobRecord>()
  /** Bytes of all blobs; they count in the journal's limit. */
  bytes = 0

  readonly #waiting = new Map<string, number>()

  add(id: string, bytes: number): void {
    if (this.has(id)) return
    this.#waiting.set(id, bytes)
    this.bytes += bytes
  }

  /** A record names it. */
  refer(id: string, seq: number, bytes: number): void {
    const waiting = this.#waiting.get(id)
    if (waiting !== undefined) {
      this.#waiting.delete(id)
      this.bytes -= waiting
    }
    const known = this.#refs.get(id)
    if (known !== undefined && known.seq >= seq) return
    if (known === undefined) this.bytes += bytes
    this.#refs.delete(id)
    this.#refs.set(id, { seq, bytes })
  }

  has(id: string): boolean {
    return this.#refs.has(id) || this.#waiting.has(id)
  }

  entries(): IterableIterator<[string, BlobRecord]> {
    return this.#refs.entries()
  }

  /** Bytes of the blobs whose last record is at or before `seq`. */
  bytesUpTo(seq: number): number {
    let bytes = 0
    for (const record of this.#refs.values()) {
      if (record.seq > seq) break
      bytes += record.bytes
    }
    return bytes
  }

  /** Forgets and names the blobs whose last record is at or before `seq`. */
  takeUpTo(seq: number): string[] {
    const ids: string[] = []
    for (const [id, record] of this.#refs) {
      if (record.seq > seq) break
      this.#refs.delete(id)
      this.bytes -= record.bytes
      ids.push(id)
    }
    return ids
  }

  clear(): void {
    this.#refs.clear()
    this.#waiting.clear()
    this.bytes = 0
  }
}
