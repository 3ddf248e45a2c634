/** What the tests of the kit share. */

import assert from 'node:assert/strict'
import type { ErrorCode } from '../../error-codes.js'
import { HotspareError } from '../../errors.js'
import type { ObjectArea } from '../../interfaces/object-store.js'
import type { OpenStorage, Storage } from '../../interfaces/storage.js'
import type { FileStat, TreeStore } from '../../interfaces/tree-store.js'

/** One fresh storage for one test. */
export interface StorageKitSubject {
  /** An empty storage that is not open. */
  readonly storage: Storage
  /**
   * Creates another object for the same content, as a new process would. Default: the same object.
   */
  readonly reopen?: () => Storage
  /**
   * Gives a file of the tree a second name, a hard link, as another program would. Default: the
   * adapter has no hard links, and their tests are skipped.
   */
  readonly link?: (path: string, otherPath: string) => Promise<void>
  /** Removes what the test left. */
  cleanup(): Promise<void>
}

/** One test of the kit. */
export interface KitTest {
  readonly title: string
  readonly run: (subject: OpenedSubject) => Promise<void>
}

/** A storage that is open, and can be opened again. */
export interface OpenedSubject {
  readonly subject: StorageKitSubject
  /** The handle that is open now. */
  readonly opened: OpenStorage
  /** Closes the handle and opens the storage again. */
  again(): Promise<OpenStorage>
}

export const owner: { readonly nodeId: string; readonly bootId: string } = {
  nodeId: 'alpha',
  bootId: 'boot-1',
}

/** Runs one test on a fresh storage, which is closed and removed afterwards. */
export async function runWith(
  create: () => Promise<StorageKitSubject>,
  run: (subject: OpenedSubject) => Promise<void>,
): Promise<void> {
  const subject = await create()
  try {
    let opened = await subject.storage.open(owner)
    try {
      await run({
        subject,
        get opened() {
          return opened
        },
        again: async () => {
          await opened.close()
          const storage = subject.reopen?.() ?? subject.storage
          opened = await storage.open({ nodeId: 'alpha', bootId: 'boot-2' })
          return opened
        },
      })
    } finally {
      await opened.close()
    }
  } finally {
    await subject.cleanup()
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

/** Asserts that a call rejects with this code. */
export async function refused(call: Promise<unknown>, code: ErrorCode): Promise<HotspareError> {
  try {
    await call
  } catch (error) {
    assert.ok(HotspareError.is(error), `expected ${code}, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return error
  }
  return assert.fail(`expected ${code}, but the call succeeded`)
}

/** The bytes of a file of the tree as text; undefined when there is none. */
export async function fileText(tree: TreeStore, path: string): Promise<string | undefined> {
  const { buffer, results } = await tree.read([{ path, offset: 0, length: 1_000_000 }])
  const result = results[0]
  if (result === undefined || result === 'missing') return undefined
  return textOf(buffer.subarray(result.start, result.start + result.length))
}

/** Puts a file into the tree. */
export async function put(tree: TreeStore, path: string, text: string): Promise<FileStat> {
  const [stat] = await tree.apply([{ kind: 'put', path, bytes: bytesOf(text), mode: 0o644 }])
  assert.ok(stat)
  return stat
}

/** Writes one object. */
export async function writeObject(
  opened: OpenStorage,
  area: ObjectArea,
  name: string,
  text: string,
): Promise<void> {
  const bytes = bytesOf(text)
  const slices = [{ name, offset: 0, start: 0, length: bytes.byteLength }]
  await opened.objects.write(area, bytes, slices)
}

/** The bytes of an object as text. */
export async function objectText(
  opened: OpenStorage,
  area: ObjectArea,
  name: string,
): Promise<string | undefined> {
  return textOf(await opened.objects.read(area, name, 0, 1_000_000))
}

/** All paths that a scan yields, sorted. */
export async function scanned(tree: TreeStore): Promise<string[]> {
  const paths: string[] = []
  for await (const entries of tree.scan(() => undefined)) {
    for (const entry of entries) paths.push(entry.path)
  }
  return paths.sort()
}
