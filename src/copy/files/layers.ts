/** Computes the content of a range of a file from changes that are applied one after the other. */
import { HotspareError } from '../../errors.js'
import type { ObjectStore } from '../../interfaces/object-store.js'
import type { FileOperation } from './overlay.js'

/**
 * Bytes of one call to the storage: below the limit of every call, and few enough that other calls
 * get their turn.
 */
export const pieceBytes: number = 8 * 1024 * 1024

/** The effect of a change on a file. */
export interface Layer {
  readonly operation: FileOperation
  /** The bytes of the blob, for operations that name one. */
  readonly blobBytes: number
}

/** Applies the operation to a window of the file that starts at `from`. */
export async function lay(
  objects: ObjectStore,
  window: Uint8Array,
  from: number,
  { operation, blobBytes }: Layer,
): Promise<void> {
  switch (operation.kind) {
    case 'put':
      window.fill(0)
      place(window, from, operation.bytes, 0)
      return
    case 'patch':
      place(window, from, operation.bytes, operation.offset)
      return
    case 'truncate':
      if (operation.size < from + window.length) {
        window.fill(0, Math.max(0, operation.size - from))
      }
      return
    case 'remove':
      window.fill(0)
      return
    case 'install':
      window.fill(0)
      await layObject(objects, window, from, { name: operation.name, offset: 0, blobBytes })
      return
    case 'patchObject': {
      const { name, offset } = operation
      await layObject(objects, window, from, { name, offset, blobBytes })
    }
  }
}

/** The length of a file after the operation. */
export function sizeAfter({ operation, blobBytes }: Layer, size: number): number {
  switch (operation.kind) {
    case 'put':
      return operation.bytes.length
    case 'install':
      return blobBytes
    case 'truncate':
      return operation.size
    case 'remove':
      return 0
    case 'patch':
      return Math.max(size, operation.offset + operation.bytes.length)
    case 'patchObject':
      return Math.max(size, operation.offset + blobBytes)
  }
}

async function layObject(
  objects: ObjectStore,
  window: Uint8Array,
  from: number,
  blob: { readonly name: string; readonly offset: number; readonly blobBytes: number },
): Promise<void> {
  const { name, offset, blobBytes } = blob
  const end = Math.min(from + window.length, offset + blobBytes)
  for (let at = Math.max(from, offset); at < end; at += pieceBytes) {
    const length = Math.min(pieceBytes, end - at)
    const bytes = await objects.read('blobs', name, at - offset, length)
    // Missing bytes must not be read as zeros.
    if (bytes.length < length) {
      throw new HotspareError('STORAGE_FAILED', `the stored content ${name} ends early`)
    }
    place(window, from, bytes, at)
  }
}

/** Copies the part of `bytes`, which are at `at` in the file, that lies in the window. */
function place(window: Uint8Array, from: number, bytes: Uint8Array, at: number): void {
  const start = Math.max(from, at)
  const end = Math.min(from + window.length, at + bytes.length)
  if (end > start) window.set(bytes.subarray(start - at, end - at), start - from)
}
