import type { Experiment } from '../support/experiment.js'
import { measureJoin } from '../support/join.js'
import { mixedFiles } from '../support/trees.js'

export const joinMixed: Experiment = {
  name: 'join-mixed',
  goal: 'P3',
  title: 'an empty standby joins; 5 000 files of log-normal size, 1.07 GB',
  target: '>= 1 x rsync -a and sync -f',
  run: (context) =>
    measureJoin(context, {
      name: 'join-mixed',
      files: context.quick ? mixedFiles(500, 107e6) : mixedFiles(5000, 1.07e9),
      goal: 1,
      removeAtOnce: false,
    }),
}
