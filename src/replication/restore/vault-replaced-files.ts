/**
 * The files that a restore replaces or removes on this disk. Before the switch, those that no
 * history contains, and mass deletions, are copied into the vault. A file that appears later is
 * left alone: the scan of the next start reports it.
 */

import type { VersionedPath } from '../../copy/files/types.js'
import type { RestoreManifest } from '../../copy/switch/manifest.js'
import { inBatches } from '../../util/in-batches.js'
import type { RestoreContext } from './context.js'

/**
 * A complete restore that deletes more files than this, and more than `massDeleteShare`, vaults
 * them first.
 */
const massDeleteFiles = 100
/**
 * A complete restore that deletes a larger share of the files than this, and more than
 * `massDeleteFiles`, vaults them first.
 */
const massDeleteShare = 0.2
/** Paths in one call of `stat`. */
const statPaths = 512

/**
 * The paths to remove: those that the source named, and in a complete restore all files that it
 * neither installs nor keeps. Files that would be lost are in the vault when it resolves.
 */
export async function planRemovals(
  context: RestoreContext,
  manifest: RestoreManifest,
): Promise<VersionedPath[]> {
  const { install, keep = [], complete } = manifest
  const kept = new Set([...install, ...keep].map(({ path }) => path))
  const removals = new Map<string, number>()
  for (const { path, version } of manifest.remove) if (!kept.has(path)) removals.set(path, version)
  const onDisk = complete ? await claimedOnDisk(context) : undefined
  if (onDisk !== undefined) {
    const surplus = [...context.copy.files.list(), ...onDisk].filter((path) => !kept.has(path))
    for (const path of surplus.sort()) if (!removals.has(path)) removals.set(path, 0)
  }
  await vaultUntracked(context, [...install.map(({ path }) => path), ...removals.keys()], onDisk)
  // The removals of a delta are ordinary changes of the surviving history, so only a complete
  // restore is checked for mass deletion.
  if (complete) await vaultMassDeletion(context, [...removals.keys()])
  return [...removals].map(([path, version]) => ({ path, version }))
}

/** The files on this disk that synced classes claim. */
async function claimedOnDisk({ storage, claims }: RestoreContext): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const batch of storage.tree.scan(() => undefined)) {
    for (const { path } of batch) if (claims(path)) found.add(path)
  }
  return found
}

/**
 * Vaults the files at the paths of a restore that this copy does not know: they were put or changed
 * there outside of the library.
 */
async function vaultUntracked(
  { copy, storage, vault, outside }: RestoreContext,
  touched: readonly string[],
  onDisk: ReadonlySet<string> | undefined,
): Promise<void> {
  const untracked = new Set([...outside.unknown, ...outside.differing].map(({ path }) => path))
  const unknown = touched.filter(
    (path) =>
      copy.files.stat(path) === undefined &&
      !copy.index.get(path) &&
      // What lies there is a file that this copy knows, under another spelling.
      copy.names.standsFor(path) === undefined,
  )
  if (onDisk !== undefined) {
    for (const path of unknown.sort()) if (onDisk.has(path)) untracked.add(path)
  } else {
    unknown.sort()
    for (const batch of inBatches(unknown, statPaths)) {
      const stats = await storage.tree.stat(batch)
      for (const [index, path] of batch.entries()) {
        if (stats[index] !== undefined) untracked.add(path)
      }
    }
  }
  if (untracked.size > 0) await vault.keepFiles('outside', [...untracked])
}

async function vaultMassDeletion(
  { copy, vault }: RestoreContext,
  removals: readonly string[],
): Promise<void> {
  const known = removals.filter((path) => copy.index.get(path))
  const isLarge = known.length > massDeleteFiles && known.length > copy.index.size * massDeleteShare
  if (isLarge) await vault.keepFiles('massDelete', known)
}
