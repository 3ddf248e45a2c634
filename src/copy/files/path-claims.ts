/** Questions of the data plane to the policy. */

import { HotspareError } from '../../errors.js'
import type { Obstacle, TreeStore } from '../../interfaces/tree-store.js'
import type { PathQuestion } from '../../policy/kinds/kind.js'
import { kindOf } from '../../policy/kinds/table.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { inBatches } from '../../util/in-batches.js'

/**
 * The class that claims a path, if its kind answers the question with yes; undefined also for a
 * path that no class, or two classes, claim.
 */
export function claimingClass(
  policy: SyncPolicy,
  path: string,
  question: PathQuestion,
): string | undefined {
  try {
    const found = policy.classOf(path)
    return found !== undefined && kindOf(found.declaration)[question] ? found.name : undefined
  } catch {
    // Two classes claim it, so any treatment would be wrong for one of them.
    return undefined
  }
}

/**
 * Whether an object that blocks a path may be removed: a file in place of a folder above it that a
 * synced class claims, which belongs to the old copy; a link or special file at the path itself
 * only if this copy had a file there. Other objects are not touched.
 */
export async function mayForce(
  tree: TreeStore,
  policy: SyncPolicy,
  path: string,
  blocked: { readonly at: string; readonly isKnown: boolean },
): Promise<boolean> {
  if (blocked.at === path) return blocked.isKnown
  const synced: string[] = []
  const others: string[] = []
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    const above = path.slice(0, at)
    if (claimingClass(policy, above, 'isReplicated') === undefined) others.push(above)
    else synced.push(above)
  }
  if (synced.length === 0 || others.length === 0) return synced.length > 0
  return (await tree.stat(others)).every((found) => found === undefined)
}

/** Paths that are examined in one call; more take further calls. */
const lookedAtMax = 1000

/**
 * The new files whose paths are blocked by an object that must not be touched, with the reason.
 * Files of synced classes do not block, because they belong to this copy and are removed first.
 */
export async function findBlocked(
  tree: TreeStore,
  policy: SyncPolicy,
  paths: readonly string[],
): Promise<Map<string, HotspareError>> {
  const blocked = new Map<string, HotspareError>()
  for (const some of inBatches(paths, lookedAtMax)) {
    const found = await tree.obstacles(some)
    for (const [index, path] of some.entries()) {
      const obstacle = found[index]
      if (obstacle === undefined || mayGo(policy, obstacle)) continue
      blocked.set(path, blockedBy(path, obstacle))
    }
  }
  return blocked
}

function mayGo(policy: SyncPolicy, { kind, path }: Obstacle): boolean {
  return kind === 'file' && claimingClass(policy, path, 'isReplicated') !== undefined
}

function blockedBy(path: string, obstacle: Obstacle): HotspareError {
  const what = {
    file: 'a file that is not synced',
    link: 'a symbolic link',
    special: 'a special file',
  }
  const why =
    obstacle.path === path
      ? `${what[obstacle.kind]} stands there`
      : `${JSON.stringify(obstacle.path)} is ${what[obstacle.kind]} and stands in its way`
  return new HotspareError(
    'PATH_BLOCKED',
    `${JSON.stringify(path)} cannot be written, because ${why}`,
    { details: { path, obstacle: obstacle.path } },
  )
}
