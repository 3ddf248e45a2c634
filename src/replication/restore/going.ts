/**
 * What goes from this disk with a restore. It is decided before the switch, and what is in nobody's history, or goes in
 * bulk, is in the vault by then; a file that comes after that stays, and is found by the next start.
 */
import type { RestoreManifest } from '../restore-manifest.js'
import type { RestoreContext } from './restore-context.js'

/** A complete restore that deletes more files than this, and more than the share, vaults them first. */
const massDeleteFiles = 100
const massDeleteShare = 0.2
/** Files that are looked at in one call. */
const statPaths = 512

type Manifest = Pick<RestoreManifest, 'install' | 'keep' | 'remove' | 'complete'>

/** Files of synced classes that a complete restore neither brings nor keeps, on the disk or about to be written to it. */
export async function findSurplus(
  { copy, storage, claims }: RestoreContext,
  stays: ReadonlySet<string>,
): Promise<string[]> {
  const surplus = new Set(copy.listFiles().filter((path) => !stays.has(path)))
  for await (const batch of storage.tree.scan(() => undefined)) {
    for (const { path } of batch) if (!stays.has(path) && claims(path)) surplus.add(path)
  }
  return [...surplus].sort()
}

/** Vaults what the manifest replaces or removes and no history has, and what goes in bulk. */
export async function keepWhatGoes(context: RestoreContext, manifest: Manifest): Promise<void> {
  const { vault, copy, outside } = context
  const changed = new Set([...outside.unknown, ...outside.differing].map(({ path }) => path))
  for (const path of await strangers(context, manifest)) changed.add(path)
  if (changed.size > 0) await vault.keepFiles('outside', [...changed])
  // The removals that a delta brings are ordinary changes of the surviving history, as they would be in its journal.
  if (!manifest.complete) return
  const going = manifest.remove.map(({ path }) => path).filter((path) => copy.index.get(path))
  const isLarge = going.length > massDeleteFiles && going.length > copy.index.size * massDeleteShare
  if (isLarge) await vault.keepFiles('massDelete', going)
}

/** Files on the disk that the restore touches and this copy does not know: somebody else put them there. */
async function strangers(context: RestoreContext, manifest: Manifest): Promise<string[]> {
  const { copy, storage } = context
  const unknown = [...manifest.install, ...manifest.remove]
    .map(({ path }) => path)
    .filter((path) => copy.index.get(path) === undefined && copy.statFile(path) === undefined)
  const found: string[] = []
  for (let at = 0; at < unknown.length; at += statPaths) {
    const batch = unknown.slice(at, at + statPaths)
    const stats = await storage.tree.stat(batch)
    found.push(...batch.filter((_, index) => stats[index] !== undefined))
  }
  return found.sort()
}
