create temporary table copied_/*table*/ (like openai_costs./*table*/) on commit drop
