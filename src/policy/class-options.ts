import { HotspareError } from '../errors.js'
import { requireKnown } from '../util/option-names.js'

/**
 * Which journals a write must reach before it is acknowledged.
 *
 * - `local`: in the journal of the active;
 * - `standby`: also in the journal of at least one in-sync standby;
 * - `all`: in the journals of all in-sync standbys.
 */
export type AckLevel = 'local' | 'standby' | 'all'

/** Whether a write must be in those journals in memory, or on disk. */
export type Durability = 'memory' | 'disk'

/** The options of a class of replicated data. */
export interface ClassOptions {
  /** Which journals a write must reach before it is acknowledged. Default `'standby'`. */
  readonly ack?: AckLevel | undefined
  /** Whether the journal in memory suffices, or it must be on disk. Default `'disk'`. */
  readonly durability?: Durability | undefined
}

/** The options of a class after defaults. */
export interface ResolvedClassOptions {
  readonly ack: AckLevel
  readonly durability: Durability
}

const ackLevels: readonly string[] = ['local', 'standby', 'all'] satisfies AckLevel[]
const durabilities: readonly string[] = ['memory', 'disk'] satisfies Durability[]

/**
 * Fills in the defaults and refuses unknown values.
 *
 * @throws `OPTION_INVALID` naming the option and the values it may have
 */
export function resolveClassOptions(options: ClassOptions = {}): ResolvedClassOptions {
  const ack = options.ack ?? 'standby'
  const durability = options.durability ?? 'disk'
  const resolved = { ack, durability }
  requireKnownLevels(resolved)
  return resolved
}

/**
 * Refuses an unknown level or durability.
 *
 * @throws `OPTION_INVALID` naming the option and the values it may have
 */
export function requireKnownLevels({ ack, durability }: ClassOptions): void {
  if (ack !== undefined) requireOneOf('ack', ack, ackLevels)
  if (durability !== undefined) requireOneOf('durability', durability, durabilities)
}

/**
 * Like {@link resolveClassOptions}, for options from the application: unknown names are refused
 * too.
 *
 * @throws `OPTION_INVALID` naming the option
 */
export function givenClassOptions(options: ClassOptions = {}): ResolvedClassOptions {
  requireKnown('a class', options, ['ack', 'durability'])
  return resolveClassOptions(options)
}

function requireOneOf(option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return
  const list = allowed.map((entry) => `'${entry}'`).join(', ')
  throw new HotspareError(
    'OPTION_INVALID',
    `${option} is ${JSON.stringify(value)}, not one of ${list}`,
    {
      details: { option },
    },
  )
}
