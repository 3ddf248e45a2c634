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
/** Files that are looked at in one call. */
const statPaths = 512

/**
 * The removals that the source named, and with a complete restore all else that it neither brings
 * nor keeps.
 */
export async function decideGoing(
  context: RestoreContext,
  manifest: RestoreManifest,
): Promise<VersionedPath[]> {
  const { install, keep = [], complete } = manifest
  const stays = new Set([...install, ...keep].map(({ path }) => path))
  const going = new Map<string, number>()
  for (const { path, version } of manifest.remove) if (!stays.has(path)) going.set(path, version)
  const onDisk = complete ? await claimedOnDisk(context) : undefined
  if (onDisk !== undefined) {
    const surplus = [...context.copy.files.list(), ...onDisk].filter((path) => !stays.has(path))
    for (const path of surplus.sort()) if (!going.has(path)) going.set(path, 0)
  }
  await vaultStrangers(context, [...install.map(({ path }) => path), ...going.keys()], onDisk)
  // The removals that a delta brings are ordinary changes of the surviving history, as they would
  // be in its journal.
  if (complete) await vaultInBulk(context, [...going.keys()])
  return [...going].map(([path, version]) => ({ path, version }))
}

/** All files of synced classes. */
async function claimedOnDisk({ storage, claims }: RestoreContext): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const batch of storage.tree.scan(() => undefined)) {
    for (const { path } of batch) if (claims(path)) found.add(path)
  }
  return found
}

/**
 * What lies at the paths that a restore touches, and this copy does not know: somebody else put or
 * changed it there.
 */
async function vaultStrangers(
  { copy, storage, vault, outside }: RestoreContext,
  touched: readonly string[],
  onDisk: ReadonlySet<string> | undefined,
): Promise<void> {
  const strangers = new Set([...outside.unknown, ...outside.differing].map(({ path }) => path))
  const unknown = touched.filter(
    (path) =>
      copy.files.stat(path) === undefined &&
      !copy.index.get(path) &&
      // What lies there is a file that this copy knows, under another spelling.
      copy.names.standsFor(path) === undefined,
  )
  if (onDisk !== undefined) {
    for (const path of unknown.sort()) if (onDisk.has(path)) strangers.add(path)
  } else {
    unknown.sort()
    for (const batch of inBatches(unknown, statPaths)) {
      const stats = await storage.tree.stat(batch)
      for (const [index, path] of batch.entries()) {
        if (stats[index] !== undefined) strangers.add(path)
      }
    }
  }
  if (strangers.size > 0) await vault.keepFiles('outside', [...strangers])
}

async function vaultInBulk(
  { copy, vault }: RestoreContext,
  going: readonly string[],
): Promise<void> {
  const known = going.filter((path) => copy.index.get(path))
  const isLarge = known.length > massDeleteFiles && known.length > copy.index.size * massDeleteShare
  if (isLarge) await vault.keepFiles('massDelete', known)
}
