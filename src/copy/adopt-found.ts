/**
 * Builds the manifest for existing files and application state, as of a restore that already has
 * everything in place.
 */
import type { Extent } from '../history/position.js'
import { claimingClass } from './files/path-claims.js'
import { DistinctPaths, spelledAlike } from './files/spellings.js'
import type { VersionedPath } from './files/types.js'
import type { LoadOptions } from './open-copy.js'
import type { InstallState, RestoreManifest } from './switch/manifest.js'
import { stageSnapshot } from './switch/staged-snapshots.js'

/** @throws `PATH_CONFLICT` for files whose paths some system would treat as one */
export async function manifestOfFound(
  options: LoadOptions,
  restoreId: string,
  base: Extent,
): Promise<RestoreManifest> {
  const keep = await claimedPaths(options)
  const states = await stageStates(options, restoreId)
  return {
    version: 1,
    restoreId,
    base,
    install: [],
    remove: [],
    states,
    complete: false,
    keep,
    tombstoneFloor: 0,
  }
}

async function claimedPaths({ copy, contents }: LoadOptions): Promise<VersionedPath[]> {
  const { storage, policy } = copy
  const keep: VersionedPath[] = []
  const distinct = new DistinctPaths()
  for await (const batch of storage.tree.scan(() => undefined)) {
    for (const { path } of batch) {
      if (claimingClass(policy, path, 'isReplicated') === undefined) continue
      const other = contents.names.refusesSpellings ? distinct.add(path) : undefined
      if (other !== undefined) throw spelledAlike(path, other)
      keep.push({ path, version: 1 })
    }
  }
  return keep
}

/** Stages the application state that exists already. */
async function stageStates(
  { copy, contents }: LoadOptions,
  prefix: string,
): Promise<InstallState[]> {
  const { storage, policy } = copy
  const staged: InstallState[] = []
  for (const [at, { name }] of policy.stateClasses().entries()) {
    const { bytes } = contents.states.snapshot(name, 0)
    const object = `${prefix}/state-${at}`
    await stageSnapshot(storage.objects, object, bytes)
    staged.push({ className: name, object, seq: 1 })
  }
  return staged
}
