/* survey.c - how often compiled code goes on in compiled code, and finds its data in the TLB.
 *
 * Misses come out into C and are counted there. Hits are not counted: that would cost more than what is
 * measured. Instead, now and then a call of the engine is interpreted, block by block, and what compiled code
 * would have done is counted. Which engine runs a block cannot be seen by the guest, so nor can a survey.
 *
 * Every CALLS_BETWEENth call is a survey, whatever it runs, so that rates are not biased; SHARE bounds the
 * cost. */
#include "vcpu/engine/engine.h"

enum { CALLS_BETWEEN = 512, SHARE = 8192 };

bool survey_is_due(struct vcpu *v)
{
    struct survey *s = &v->survey;
    if (!v->cfg.survey || !v->native || v->in_single || ++s->calls % CALLS_BETWEEN != 0)
        return false;
    return v->stats.survey_ticks <= (v->limit - (uint64_t)v->g.budget) / SHARE;
}

static unsigned count_accesses(const struct tb *tb)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tb->nops; i++)
        n += tb->ops[i].op == IR_LD || tb->ops[i].op == IR_LDRW || tb->ops[i].op == IR_ST;
    return n;
}

void survey_block(struct vcpu *v, struct tb *tb)
{
    tb->cold = 0;
    v->stats.survey_blocks++;
    v->stats.survey_accesses += count_accesses(tb);
}

void survey_run(struct vcpu *v, struct tb *tb)
{
    int64_t budget = v->g.budget;
    v->survey.on = true;
    while (tb)
        tb = engine_interpret(v, tb);
    v->survey.on = false;
    v->stats.survey_ticks += (uint64_t)(budget - v->g.budget);
}
