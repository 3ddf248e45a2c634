// Reports the results of the trials, as text and as JSON.

const isNoticed = ({ simulator, tests }) => simulator !== undefined || tests !== undefined
/** Whether a mutant was not noticed but not all trials were run, because the time was over. */
const isUnjudged = (trial) => !isNoticed(trial) && !trial.ended

/** @param {import('./trials.mjs').Trial} trial */
function verdictOf(trial) {
  if (isUnjudged(trial)) return 'UNJUDGED '
  return isNoticed(trial) ? '' : 'SURVIVED '
}

/**
 * One line about one mutant.
 *
 * @param {import('./trials.mjs').Trial} trial
 */
export function lineOf(trial) {
  const { mutant, simulator, tests, tried, ms } = trial
  const bySeed =
    simulator === undefined
      ? `not noticed by the simulator in ${tried} seeds`
      : `simulator: ${tried} seeds, ${simulator.profile ?? 'any'} ${simulator.seed}, ${simulator.checker}`
  const byTests = tests === undefined ? '' : `; tests: ${tests}`
  return `${verdictOf(trial)}${mutant.id}: ${bySeed}${byTests} (${Math.round(ms / 1000)} s)`
}

/**
 * Writes the table.
 *
 * @param {readonly import('./trials.mjs').Trial[]} trials
 */
export function report(trials) {
  process.stdout.write('\n')
  for (const trial of trials) {
    const { simulator, tests, tried, mutant } = trial
    const bySeed = simulator === undefined ? `(${tried})` : String(tried)
    const byTests = tests === undefined ? '' : 'tests'
    const row = [bySeed.padStart(6), byTests.padEnd(5), mutant.id.padEnd(30)].join('  ')
    process.stdout.write(`${row} ${verdictOf(trial)}${mutant.rule}\n`)
  }
  const ids = (some) => some.map(({ mutant }) => mutant.id)
  const noticed = trials.filter(isNoticed)
  const unjudged = trials.filter(isUnjudged)
  const answer = {
    mutants: trials.length,
    noticed: noticed.length,
    noticedBySimulator: trials.filter(({ simulator }) => simulator !== undefined).length,
    survived: ids(trials.filter((trial) => !isNoticed(trial) && !isUnjudged(trial))),
    unjudged: ids(unjudged),
  }
  process.stdout.write(
    `${answer.mutants} mutants, ${answer.noticed} noticed, ${answer.noticedBySimulator} of them by the simulator\n`,
  )
  if (unjudged.length > 0) {
    process.stdout.write(`the time was over before ${answer.unjudged.join(', ')}\n`)
  }
  return answer
}
