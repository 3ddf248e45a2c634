/**
 * The contents of each version of a file, as seen on the disk of a machine where the file was not
 * changed outside of the library. A change has the same result on every machine, so one observation
 * holds for all.
 */

import { differs } from '../../../copy/files/tree-scan.js'
import type { Extent } from '../../../history/position.js'
import type { Process } from '../machine/machine.js'
import type { World } from '../world.js'
import { termAt, written } from './extents.js'

export class Versions {
  readonly #world: World
  readonly #contents = new Map<string, Uint8Array>()

  constructor(world: World) {
    this.#world = world
  }

  /** Records all files of a process that match its index. */
  note({ id, copy }: Process): void {
    if (copy === undefined) return
    const { outside } = this.#world.machine(id).storage
    for (const [path, record] of copy.index.entries()) {
      const key = keyOf(copy.extent, path, record.version)
      if (key === undefined || this.#contents.has(key) || copy.outside.isMixed(path)) continue
      const stat = outside.stat(path)
      const bytes = outside.read(path)
      if (stat === undefined || bytes === undefined || differs(record, stat)) continue
      this.#contents.set(key, bytes)
    }
  }

  /** The bytes of a file after this change of it; undefined if they were never seen. */
  of(extent: Extent, path: string, version: number): Uint8Array | undefined {
    const key = keyOf(extent, path, version)
    return key === undefined ? undefined : this.#contents.get(key)
  }
}

function keyOf(extent: Extent, path: string, version: number): string | undefined {
  const term = termAt(extent, version)
  return term === undefined ? undefined : `${written(term)}-${term.bootId}/${version} ${path}`
}
