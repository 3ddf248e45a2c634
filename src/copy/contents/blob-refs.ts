/**
 * The blobs that entries of the journal name. A blob is kept as long as the last entry that names
 * it.
 *
 * Invariant: they are in the order of that entry.
 */
/** The public view of stored blobs. */
export interface StoredBlobs {
  /** Whether the blob is stored here and named by an entry. */
  has(id: string): boolean
}

export interface BlobRecord {
  readonly seq: number
  readonly bytes: number
}

export class BlobRefs implements StoredBlobs {
  readonly #refs = new Map<string, BlobRecord>()
  /** The bytes of all blobs, which count towards the journal's limit. */
  bytes = 0

  /** Records that an entry names the blob. */
  refer(id: string, seq: number, bytes: number): void {
    const known = this.#refs.get(id)
    if (known !== undefined && known.seq >= seq) return
    if (known === undefined) this.bytes += bytes
    this.#refs.delete(id)
    this.#refs.set(id, { seq, bytes })
  }

  has(id: string): boolean {
    return this.#refs.has(id)
  }

  entries(): IterableIterator<[string, BlobRecord]> {
    return this.#refs.entries()
  }

  /** Bytes of the blobs whose last entry is at or before `seq`. */
  bytesUpTo(seq: number): number {
    let bytes = 0
    for (const record of this.#refs.values()) {
      if (record.seq > seq) break
      bytes += record.bytes
    }
    return bytes
  }

  /** Removes and returns the blobs whose last entry is at or before `seq`. */
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
    this.bytes = 0
  }
}
