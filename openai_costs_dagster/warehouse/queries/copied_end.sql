insert into openai_costs./*table*/ select * from copied_/*table*/;
drop table copied_/*table*/
