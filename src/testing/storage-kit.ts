/** The conformance kit for storage adapters: every sentence of the contract, as a test of its own. */

import type { Storage } from '../interfaces/storage.js'
import { documentTests } from './storage-kit/documents.js'
import { type KitTest, runWith } from './storage-kit/harness.js'
import { lifecycleTests } from './storage-kit/lifecycle.js'
import { logTests } from './storage-kit/logs.js'
import { objectTests } from './storage-kit/objects.js'
import { treeTests } from './storage-kit/tree.js'
import { treeLinkTests } from './storage-kit/tree-links.js'
import { treeMoveTests } from './storage-kit/tree-moves.js'
import { treeReadTests } from './storage-kit/tree-reads.js'

/** One fresh storage for one test. */
export interface StorageKitSubject {
  /** An empty storage that nobody has open. */
  readonly storage: Storage
  /** Another object for the same content, as a new process would make it. Default: the same object. */
  readonly reopen?: () => Storage
  /**
   * Gives a file of the tree a second name in it, as another program would: a hard link. Default: the adapter's files have
   * one name each, and what is tested of others is passed over.
   */
  readonly link?: (path: string, otherPath: string) => Promise<void>
  /** Removes what the test left. */
  cleanup(): Promise<void>
}

/** What {@link storageKit} needs. */
export interface StorageKitOptions {
  /** Put before the title of every test. */
  readonly name: string
  /** Makes the storage for one test. */
  create(): Promise<StorageKitSubject>
  /** The runner's own function to declare a test. */
  readonly test: (name: string, run: () => Promise<void>) => void
}

/**
 * Declares the tests of the storage contract with any test runner.
 *
 * @example
 * ```ts
 * import test from 'node:test'
 * import { memory } from '../storage/memory.js'
 * import { storageKit } from '..js'
 *
 * storageKit({
 *   name: 'memory',
 *   create: async () => ({ storage: memory(), cleanup: async () => {} }),
 *   test: (name, run) => void test(name, run),
 * })
 * ```
 */
export function storageKit(options: StorageKitOptions): void {
  const groups: readonly (readonly KitTest[])[] = [
    lifecycleTests,
    documentTests,
    logTests,
    objectTests,
    treeTests,
    treeLinkTests,
    treeMoveTests,
    treeReadTests,
  ]
  for (const test of groups.flat()) {
    options.test(`${options.name}: ${test.title}`, () => runWith(options.create, test.run))
  }
}
