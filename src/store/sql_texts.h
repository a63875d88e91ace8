/* The texts of sql/ (see mapping.h), embedded at build time by tools/embed. */
#ifndef RS_SQL_TEXTS_H
#define RS_SQL_TEXTS_H

/* What stands before a text: what it is for, and its parameters, as comments of SQL. */
struct sql_head {
    const char *text, *head;
};
extern const struct sql_head sql_heads[]; /* up to one of NULLs */

/* Of all statements. */
extern const char sql_parts[];

extern const char sql_release[];
extern const char sql_release_backlog[];
extern const char sql_release_bulk[];
extern const char sql_release_check[];
extern const char sql_call[];
extern const char sql_keep_lock[];
extern const char sql_products[];
extern const char sql_due_rows[];
extern const char sql_due_count[];
extern const char sql_due_first[];
extern const char sql_odd_rows[];
extern const char sql_late_rows[];
extern const char sql_begin[];
extern const char sql_active_rows[];
extern const char sql_tied_rows[];
extern const char sql_lookup[];
extern const char sql_stock[];
extern const char sql_stock_lock[];
extern const char sql_stock_repair[];
extern const char sql_stock_sum[];
extern const char sql_blockers[];
extern const char sql_explain_holds[];
extern const char sql_explain_counters[];
extern const char sql_explain_sums[];
extern const char sql_table_locks[];
extern const char sql_standby_wait[];
extern const char sql_cut_off[];
extern const char sql_waited_for[];
extern const char sql_feeds[];
extern const char sql_catalog[];
extern const char sql_indexes[];
extern const char sql_check_server[];
extern const char sql_check_tables[];
extern const char sql_check_guards[];
extern const char sql_check_seen[];
extern const char sql_check_keep[];
extern const char sql_check_states[];
extern const char sql_check_rows[];
extern const char sql_show_names[];
extern const char sql_check_values[];
extern const char sql_check_totals[];
extern const char sql_check_plan_id[];
extern const char sql_check_plan_due[];
extern const char sql_check_plan_counter[];
extern const char sql_rehearse_before[];
extern const char sql_rehearse_after[];
extern const char sql_check_doubled[];
extern const char sql_table_blocker[];
extern const char sql_init_tables[];
extern const char sql_prolong[];

#endif
