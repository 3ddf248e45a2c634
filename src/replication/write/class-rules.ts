/** What the classes of the policy say about writes, prepared so that a write needs one look-up. */

import type { WriteIntent } from '../../changes/intent.js'
import { HotspareError } from '../../errors.js'
import { kindOf } from '../../policy/kinds/table.js'
import { ackOfLevel, durabilityOfLevel, levelOf, stricterLevel } from './ack-queues.js'
import type { WriteOptions, WriterPolicy } from './types.js'

interface ClassRule {
  /** The name of the kind, for error texts. */
  readonly kind: string
  readonly takesFileChanges: boolean
  readonly takesUpdates: boolean
  readonly level: number
}

/** Why `update()` refuses this class: it is of another kind, or it does not exist. */
export function noStateClass(
  className: string,
  kind: string | undefined,
  states: readonly string[],
): HotspareError {
  const details = { className }
  if (kind !== undefined) {
    const what = `update() takes a class of application state, and '${className}' is of kind ${kind}`
    const whatToDo = 'Use node.files for files of synced classes.'
    return new HotspareError('CLASS_KIND', what, { details, whatToDo })
  }
  const there =
    states.length === 0 ? 'the policy declares none' : `there are only ${states.join(', ')}`
  const what = `there is no class '${className}' of application state; ${there}`
  return new HotspareError('CLASS_UNKNOWN', what, { details })
}

export class ClassRules {
  readonly #rules = new Map<string, ClassRule>()

  constructor(policy: WriterPolicy) {
    for (const name of policy.names()) {
      const declaration = policy.get(name)
      if (declaration === undefined) continue
      const kind = kindOf(declaration)
      if (!kind.isReplicated) continue
      const { takesFileChanges, takesUpdates } = kind
      const levels = kind.levels(declaration)
      // The level of a class that accepts no changes is never used.
      const level = levels === undefined ? 0 : levelOf(levels.ack, levels.durability)
      this.#rules.set(name, { kind: declaration.kind, takesFileChanges, takesUpdates, level })
    }
  }

  /**
   * The level at which a write is acknowledged: its own options, else the strictest of its classes.
   *
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`
   */
  levelFor(intent: WriteIntent, options: WriteOptions | undefined): number {
    let level = 0
    if (intent.kind === 'transaction' || intent.kind === 'commit') {
      for (const { className, kind } of intent.changes) {
        level = stricterLevel(level, this.#levelOf(className, kind))
      }
    } else {
      level = this.#levelOf(intent.className, intent.kind)
    }
    if (options === undefined) return level
    const { ack, durability } = options
    if (ack === undefined && durability === undefined) return level
    return levelOf(ack ?? ackOfLevel(level), durability ?? durabilityOfLevel(level))
  }

  #levelOf(className: string, kind: WriteIntent['kind']): number {
    const rule = this.#rules.get(className)
    if (kind === 'update' && rule?.takesUpdates !== true) {
      throw noStateClass(className, rule?.kind, this.#stateNames())
    }
    if (rule === undefined) {
      throw new HotspareError(
        'CLASS_UNKNOWN',
        `the policy has no replicated class '${className}', only ${[...this.#rules.keys()].join(', ')}`,
        { details: { className } },
      )
    }
    if (kind !== 'update' && !rule.takesFileChanges) {
      throw new HotspareError(
        'CLASS_KIND',
        `class '${className}' is of kind ${rule.kind}, which takes no change of kind ${kind}`,
        { details: { className } },
      )
    }
    return rule.level
  }

  #stateNames(): string[] {
    return [...this.#rules].filter(([, { takesUpdates }]) => takesUpdates).map(([name]) => name)
  }
}
